# Sends one message as bunny does, or listens: ruby client.rb send|read QUEUE
require "bunny"
require "json"

$stdout.sync = true
verb, queue = ARGV
connection = Bunny.new(ENV["RABBIT_URL"].chomp("/")) # else its virtual host is ""
connection.start
channel = connection.create_channel
if verb == "send"
  channel.confirm_select
  channel.default_exchange.publish('{"id":1}', routing_key: queue, type: "paid")
  channel.wait_for_confirms
  connection.close
else
  there = channel.queue(queue, durable: true)
  puts "listening"
  there.subscribe(manual_ack: true, block: true) do |delivery, properties, body|
    puts "got " + [properties.type, properties.message_id ? "an id" : "no id", JSON.parse(body)].to_json
    channel.ack(delivery.delivery_tag)
  end
end
