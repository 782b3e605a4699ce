"""The local load balancer before the serving processes."""
