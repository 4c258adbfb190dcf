"""What student and teacher cost and how fast they are, measured on servers: `potstill measure RUN`."""
