# Sends one message as AnyEvent::RabbitMQ does: perl client.pl QUEUE
use strict;
use warnings;
use AnyEvent;
use AnyEvent::RabbitMQ;

my ($user, $pass, $host, $port) = $ENV{RABBIT_URL} =~ m{//(.*?):(.*?)@(.*?):(\d+)} or die;
my $done = AnyEvent->condvar;
my $fail = sub { $done->croak("failed: @_") };

my $client = AnyEvent::RabbitMQ->new->load_xml_spec; # nothing else holds it
$client->connect(
    host => $host, port => $port, user => $user, pass => $pass, vhost => '/', on_failure => $fail,
    on_read_failure => $fail, on_return => $fail, on_close => sub {},
    on_success => sub {
        my $connection = shift;
        $connection->open_channel(on_failure => $fail, on_close => sub {}, on_success => sub {
            my $channel = shift;
            $channel->confirm(on_failure => $fail, on_success => sub {
                $channel->publish(exchange => '', routing_key => $ARGV[0], body => '{"id":1}',
                    header => { type => 'paid' }, on_ack => sub { $done->send($connection) }, on_nack => $fail);
            });
        });
    });
$done->recv;
