<?php // Symfony Messenger over php-amqp, its serializer set to JSON: php symfony.php send|read QUEUE
namespace App\Message {
    class OrderPaid
    {
        public $id;

        public function __construct(int $id)
        {
            $this->id = $id;
        }
    }
}

namespace {
    require_once 'Symfony/Component/Messenger/autoload.php';
    require_once 'Symfony/Component/Messenger/Bridge/Amqp/autoload.php';
    require_once 'Symfony/Component/Serializer/autoload.php';
    require_once 'Symfony/Component/PropertyAccess/autoload.php';

    use App\Message\OrderPaid;
    use Symfony\Component\Messenger\Bridge\Amqp\Transport\AmqpTransport;
    use Symfony\Component\Messenger\Bridge\Amqp\Transport\Connection;
    use Symfony\Component\Messenger\Envelope;
    use Symfony\Component\Messenger\Handler\HandlersLocator;
    use Symfony\Component\Messenger\MessageBus;
    use Symfony\Component\Messenger\Middleware\HandleMessageMiddleware;
    use Symfony\Component\Messenger\Transport\Serialization\PhpSerializer;
    use Symfony\Component\Messenger\Transport\Serialization\Serializer;
    use Symfony\Component\Messenger\Worker;

    [, $verb, $queue] = $argv;
    $dsn = rtrim(getenv('RABBIT_URL'), '/') . '/%2f';
    if ($verb !== 'read') { // the queue is herald's
        $connection = Connection::fromDsn($dsn, ['auto_setup' => false, 'confirm_timeout' => 20,
            'exchange' => ['name' => '', 'default_publish_routing_key' => $queue]]);
        $serializer = $verb === 'send' ? Serializer::create() : new PhpSerializer();
        (new AmqpTransport($connection, $serializer))->send(new Envelope(new OrderPaid(1)));
        exit;
    }
    $connection = Connection::fromDsn($dsn, ['exchange' => ['name' => $queue], 'queues' => [$queue => []]]);
    $transport = new AmqpTransport($connection, Serializer::create());
    $transport->setup();
    $bus = new MessageBus([new HandleMessageMiddleware(new HandlersLocator([
        OrderPaid::class => [function (OrderPaid $message) {
            echo 'got ' . json_encode($message) . "\n";
        }],
    ]))]);
    echo "listening\n";
    (new Worker(['amqp' => $transport], $bus))->run(['sleep' => 20000]);
}
