"""The site: what a person sees in a browser, beside the drive that programs use.

Speaks to the services that `davserver.bootstrap` builds, never to storage, SQL or keys.
"""
