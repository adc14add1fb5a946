"""What changes rows, one noun a file: functions of a connection in a transaction, which they never commit."""
