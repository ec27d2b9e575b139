# Words of a text, counted, looked up in the dictionary, turned about and sorted.
use strict;
use warnings;

my (%count, %known, %class);
open(my $dictionary, '<', '/usr/share/dict/words') or die;
while (<$dictionary>) {
    chomp;
    $known{lc $_} = 1;
    push @{$class{join '', sort split //, lc $_}}, $_ if length == 6;
}
open(my $text, '<', '/bench/text') or die;
while (<$text>) {
    last if $. > 60000;
    s/_(\w)/ $1/g;
    $count{lc $1}++ while /\b([A-Za-z]{3,})\b/g;
}
my @best = sort { $count{$b} <=> $count{$a} || $a cmp $b } grep { $known{$_} } keys %count;
print "$_ $count{$_}\n" for @best[0 .. 40];
my @groups = sort { @$b <=> @$a || $a->[0] cmp $b->[0] } values %class;
print join(' ', @{$groups[$_]}), "\n" for 0 .. 10;
