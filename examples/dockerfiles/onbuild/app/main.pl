print "main\n";
