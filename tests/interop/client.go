// Sends one message as Go's amqp091 does, or listens: client send|read QUEUE
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func send(channel *amqp.Channel, queue string) {
	must(channel.Confirm(false))
	sent, err := channel.PublishWithDeferredConfirmWithContext(context.Background(), "", queue, true, false,
		amqp.Publishing{Type: "paid", MessageId: "m-1", Timestamp: time.Now(),
			DeliveryMode: amqp.Persistent, ContentType: "application/json", Body: []byte(`{"id":1}`)})
	must(err)
	sent.Wait()
}

func read(channel *amqp.Channel, queue string) {
	_, err := channel.QueueDeclare(queue, true, false, false, false, nil)
	must(err)
	messages, err := channel.Consume(queue, "", false, false, false, false, nil)
	must(err)
	fmt.Println("listening")
	for message := range messages {
		var body interface{}
		must(json.Unmarshal(message.Body, &body))
		id := "no id"
		if message.MessageId != "" {
			id = "an id"
		}
		text, _ := json.Marshal([]interface{}{message.Type, id, body})
		fmt.Println("got", string(text))
		must(message.Ack(false))
	}
}

func main() {
	connection, err := amqp.Dial(os.Getenv("RABBIT_URL"))
	must(err)
	channel, err := connection.Channel()
	must(err)
	if os.Args[1] == "send" {
		send(channel, os.Args[2])
		must(connection.Close())
	} else {
		read(channel, os.Args[2])
	}
}
