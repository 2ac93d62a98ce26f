"""What happens when CHI@Edge fails at any step: each fault on the loopback site, and what is allocated afterwards."""
