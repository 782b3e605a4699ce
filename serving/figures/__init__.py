"""What the figures are: pure functions of rows and times, which know no store, no web and no clock."""
