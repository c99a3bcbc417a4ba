"""What runs inside pods and tries the network. Only the standard library, so that it starts fast in little memory."""
