# Makes the trees that builders are measured with: make.pl DIR small|large. The same bytes each time.
#
# Text comes from a pool that is larger than what a fast compressor looks back upon, so that it compresses as text does;
# the incompressible half of a large file is shorter than any of them looks back from the next file.
use strict;
use warnings;

my ($dir, $kind) = @ARGV;
my $state = 7;
sub noise { $state = ($state * 1103515245 + 12345) & 0x7fffffff; return $state >> 8 }

my @words = ("let ", "return ", "import ", "self.");
my $text = "";
while (length($text) < 8 << 20) { $text .= $words[noise() & 3] . sprintf("%x ", noise()) }
mkdir $dir;
if ($kind eq "small") { small() } else { large() }

sub small {
    for my $number (0 .. 49_999) {
        my $folder = sprintf("%s/d%03d/e%02d", $dir, $number / 250, $number / 25 % 10);
        mkdir sprintf("%s/d%03d", $dir, $number / 250) if $number % 250 == 0;
        mkdir $folder if $number % 25 == 0;
        my $size = 1024 + noise() % 7169;
        my $at = noise() % ((8 << 20) - 8192);
        put("$folder/file$number.py", substr($text, $at, $size));
    }
}

sub large {
    my $random = pack("N*", map { (noise() << 16) ^ noise() ^ (noise() << 24) } 1 .. 2 << 20);
    for my $number (0 .. 63) {
        my $at = noise() % (8 << 20);
        my $turned = substr($random, $at) . substr($random, 0, $at);
        put("$dir/large$number", $turned, substr($text, $at, 8 << 20), substr($text, 0, $at));
    }
}

sub put {
    my ($path, @parts) = @_;
    open(my $file, ">:raw", $path) or die "$path: $!";
    print {$file} @parts or die "$path: $!";
    close($file) or die "$path: $!";
}
