# What till.exe does in Windows with the job of a drive, for a Linux without Wine: commands of the command processor are a shell's.
use strict;
use warnings;

$| = 1;
system("modprobe -a ata_piix sr_mod isofs");
for (1 .. 100) { last if -b "/dev/sr0"; select(undef, undef, undef, 0.1) }
mkdir $_ for "/desk", "/c";
system("mount -o ro /dev/sr0 /desk") == 0 or die "there is no drive";
system("stty -F /dev/ttyS1 raw -echo") == 0 or die "there is no second port";
open(my $port, ">", "/dev/ttyS1") or die;
select((select($port), $| = 1)[0]);

sub place { my $path = shift; $path =~ s{^C:\\}{/c/}; $path =~ tr{\\}{/}; return $path }

# reboot(2)
sub switch_to { system("sync"); syscall(169, 0xfee1dead, 0x28121969, shift) while 1 }
my ($off, $again) = (0x4321fedc, 0x01234567);

sub run {
    my ($dir, $line, $into, %variables) = @_;
    my ($text) = $line =~ /^cmd\.exe \/d \/s \/c "(.*)"$/s or die "no command: $line";
    my $pid = fork // die;
    if (!$pid) {
        @ENV{keys %variables} = values %variables;
        $ENV{PATH} = "/usr/sbin:/usr/bin:/sbin:/bin";
        chdir place($dir) or die "no directory $dir";
        open(STDOUT, ">&", $into) and open(STDERR, ">&", $into) or die;
        exec("/bin/sh", "-c", $text);
    }
    return $pid;
}

my (@acts, %variables, $nonce);
if (open(my $job, "<", "/desk/till/job")) {
    while (<$job>) {
        chomp;
        my ($word, @fields) = map { s/%([0-9A-F]{2})/chr hex $1/ger } split /\t/, $_, -1;
        if ($word eq "nonce") { $nonce = $fields[0] }
        elsif ($word eq "variable") { $variables{$fields[0]} = $fields[1] }
        elsif ($word ne "lend") { push @acts, [$word, {%variables}, @fields]; %variables = () }
    }
}

if (!$nonce) {
    for my $file (glob "/c/services/*") {
        my ($dir, $line, %variables) = do { open(my $in, "<", $file) or die; local $/ = "\0"; map { s/\0$//r } <$in> };
        run($dir, $line, $port, %variables);
    }
    print "desk: up\n";
    sleep 1 while 1;
}

sub say_word { print $port "\n#till $nonce @_\n" }
my $state = "/c/state-$nonce";
my $done = 0;
if (open(my $in, "<", $state)) { $done = <$in> }
for my $number ($done .. $#acts) {
    my ($word, $variables, @fields) = @{$acts[$number]};
    my $code = 0;
    say_word("began $number");
    if ($word eq "unpack") {
        my $to = place($fields[1]);
        $code = system("mkdir -p '$to' && tar -xf '/desk/till/$fields[0]' --no-same-owner -C '$to'") >> 8;
    } elsif ($word eq "run") {
        waitpid(run($fields[1], $fields[2], $port, %$variables), 0);
        $code = $? >> 8;
        # As exit codes here are of one byte: 1003 is 235 of it.
        if ($code == 235 && $fields[0]) {
            open(my $out, ">", $state) or die;
            print $out $number + 1;
            close $out;
            say_word("restart $number");
            switch_to($again);
        }
    } elsif ($word eq "service") {
        mkdir "/c/services";
        open(my $out, ">", "/c/services/$fields[0]") or die;
        print $out join("\0", $fields[2], $fields[3], %$variables, "");
    } elsif ($word eq "off") {
        say_word("done");
        switch_to($off);
    }
    say_word("ended $number $code");
    sleep 1 while $code;
}
