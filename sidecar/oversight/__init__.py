"""What people see of the streams, and how they step in; no picture is kept."""
