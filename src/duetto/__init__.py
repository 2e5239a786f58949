"""duetto."""
