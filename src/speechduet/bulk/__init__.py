"""Recordings without number, enhanced on Ray: a machine's cores, or those of a cluster."""
