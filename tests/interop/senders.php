<?php // Sends one message as php-amqplib does: php senders.php QUEUE
require_once 'PhpAmqpLib/autoload.php';

$url = parse_url(getenv('RABBIT_URL'));
$connection = new PhpAmqpLib\Connection\AMQPStreamConnection(
    $url['host'], $url['port'], $url['user'], $url['pass']);
$channel = $connection->channel();
$channel->confirm_select();
$channel->basic_publish(
    new PhpAmqpLib\Message\AMQPMessage('{"id":1}', ['type' => 'paid']), '', $argv[1]);
$channel->wait_for_pending_acks(20);
$connection->close();
