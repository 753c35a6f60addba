"""From indices to vectors, and what tells attention where in a sequence a vector stands."""
