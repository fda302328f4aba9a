"""Messages between the processes of one node: msgspec structs, length-framed, over Unix stream sockets."""
