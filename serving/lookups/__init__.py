"""What is asked of which store for an answer, and what holds while one of them is away."""
