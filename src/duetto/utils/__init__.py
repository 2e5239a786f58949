"""What every package needs and no field of speech knows: files, records from outside."""
