use lib; print "main\n";
