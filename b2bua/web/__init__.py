"""HTTP: requests to the user's web application, and their signature."""
