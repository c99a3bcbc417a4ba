"""How this process takes connections: sockets that listen, and connections that do not wait for ever."""
