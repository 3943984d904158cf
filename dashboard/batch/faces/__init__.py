"""Every face of a batch: the table, its filters, and where the models differ most."""
