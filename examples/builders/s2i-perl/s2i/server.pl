# Serves the pages of a directory: /NAME is NAME.html.
use strict;
use IO::Socket::INET;

my ($folder) = @ARGV;
$SIG{TERM} = sub { exit 0 };
my $port = $ENV{PORT} || 8080;
my $server = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $port, Listen => 16, ReuseAddr => 1)
    or die "cannot listen at $port: $!";
while (1) {
    my $client = $server->accept or next;
    my $request = <$client> // next;
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
    my ($name) = $request =~ m{^\S+ /([\w-]*)};
    $name = 'index' if !defined $name || $name eq '';
    my ($status, $body) = ('404 Not Found', "there is no page $name\n");
    if (open my $page, '<', "$folder/$name.html") {
        local $/;
        ($status, $body) = ('200 OK', <$page>);
    }
    print $client "HTTP/1.1 $status\r\nContent-Type: text/html\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
    close $client;
}
