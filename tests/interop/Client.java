// com.rabbitmq.client: java Client.java CASE QUEUE
//
// text and bytes send what Spring AMQP does for the services that herald was made for:
// convertAndSend(exchange, "", json) and MessageBuilder.withBody(json.getBytes()).setDeliveryMode(
// PERSISTENT).build(), with a CorrelationData. ask waits for a direct answer; read listens.
import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.RpcClient;
import java.util.Map;

public class Client {
    static final String NOTIFY = "{\"businessKey1\":\"16\",\"businessKey2\":\"60201\",\"id\":7,"
            + "\"messageType\":\"payresult_notify\",\"executeNum\":0,\"state\":\"0\"}";

    static AMQP.BasicProperties.Builder persistent(String contentType) {
        return new AMQP.BasicProperties.Builder().contentType(contentType).deliveryMode(2).priority(0)
                .headers(Map.of("spring_returned_message_correlation", "7"));
    }

    static void send(Channel channel, String queue, AMQP.BasicProperties properties) throws Exception {
        channel.confirmSelect();
        channel.basicPublish("", queue, properties, NOTIFY.getBytes("UTF-8"));
        channel.waitForConfirmsOrDie(20000);
    }

    static void ask(Channel channel, String queue) throws Exception {
        String answer = new RpcClient(channel, "", queue, 20000).stringCall("[1,2]");
        if (!answer.equals("{\"sum\":3}"))
            throw new Exception("answered with " + answer);
    }

    static void read(Channel channel, String queue) throws Exception {
        channel.queueDeclare(queue, true, false, false, null);
        channel.basicConsume(queue, false, (tag, message) -> {
            String id = message.getProperties().getMessageId() != null ? "an id" : "no id";
            System.out.printf("got [\"%s\",\"%s\",%s]%n", message.getProperties().getType(), id,
                    new String(message.getBody(), "UTF-8"));
            channel.basicAck(message.getEnvelope().getDeliveryTag(), false);
        }, tag -> { });
        System.out.println("listening");
        Thread.currentThread().join();
    }

    public static void main(String[] args) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(System.getenv("RABBIT_URL").replaceAll("/$", ""));
        try (Connection connection = factory.newConnection()) {
            Channel channel = connection.createChannel();
            switch (args[0]) {
            case "text": send(channel, args[1], persistent("text/plain").contentEncoding("UTF-8").build()); break;
            case "bytes": send(channel, args[1], persistent("application/octet-stream").build()); break;
            case "ask": ask(channel, args[1]); break;
            default: read(channel, args[1]);
            }
        }
    }
}
