use strict;
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
my $root = shift;
my $server = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $ENV{PORT}, Listen => 16, ReuseAddr => 1)
    or die "cannot listen: $!";
while (my $client = $server->accept) {
    my $request = <$client> // '';
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
    my ($path) = $request =~ m{^GET /([a-z./]*)};
    $path = 'index.html' if !defined $path or $path eq '' or $path =~ /\.\./;
    my ($status, $body) = ('404 Not Found', "nothing here\n");
    if (open(my $file, '<', "$root/$path")) { local $/; ($status, $body) = ('200 OK', <$file>) }
    print $client "HTTP/1.1 $status\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
    close $client;
}
