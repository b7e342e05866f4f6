<?php // Sends one message as php-amqplib does, or listens: php client.php send|read QUEUE
require_once 'PhpAmqpLib/autoload.php';

[, $verb, $queue] = $argv;
$url = parse_url(getenv('RABBIT_URL'));
$connection = new PhpAmqpLib\Connection\AMQPStreamConnection(
    $url['host'], $url['port'], $url['user'], $url['pass']);
$channel = $connection->channel();
if ($verb === 'send') {
    $channel->confirm_select();
    $channel->basic_publish(
        new PhpAmqpLib\Message\AMQPMessage('{"id":1}', ['type' => 'paid']), '', $queue);
    $channel->wait_for_pending_acks(20);
    $connection->close();
    exit;
}
$channel->queue_declare($queue, false, true, false, false);
$channel->basic_consume($queue, '', false, false, false, false, function ($message) {
    $id = $message->has('message_id') ? 'an id' : 'no id';
    echo 'got ' . json_encode([$message->get('type'), $id, json_decode($message->getBody())]) . "\n";
    $message->ack();
});
echo "listening\n";
while ($channel->is_consuming()) {
    $channel->wait();
}
