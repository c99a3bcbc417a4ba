"""What is known of the cluster: kept from lists and watches, asked by decisions and passes."""
