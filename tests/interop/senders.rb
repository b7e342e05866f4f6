# Sends one message as bunny does: ruby senders.rb QUEUE
require "bunny"

connection = Bunny.new(ENV["RABBIT_URL"].chomp("/")) # else its virtual host is ""
connection.start
channel = connection.create_channel
channel.confirm_select
channel.default_exchange.publish('{"id":1}', routing_key: ARGV[0], type: "paid")
channel.wait_for_confirms
connection.close
