"""Server processes: preparing the database, serving, supervising workers, stopping."""
