"""How the processes of one node talk: msgspec structs, length-framed, over Unix stream sockets."""
