"""`potstill review`: a web application in which people label answers and read all rows of a run."""
