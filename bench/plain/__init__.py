"""A floor of bench/api.py: a switch with nothing of the product but what makes it durable and confirmed.

django-ninja, a hashed token that is looked up, Django's ORM as it comes, a log that is synced at each commit, an Event
of what was asked and one of what was done, a controller in a process of its own that a datagram wakes and that reads
the pin back, our bridge to threads that keep their connection, and one lock around the write. No rights, no plan, no
page, none of what keeps a site closed, and nothing but the database outlives a kill.
"""
