"""What is right with this site and what is not, each with its remedy: manage.py doctor, and the page /doctor/."""
