"""RabbitMQ: its settings, and a broker of one's own in a folder."""
