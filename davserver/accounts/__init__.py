"""Who may do what: accounts, second factors, app passwords. It knows nothing of files and nothing of HTTP."""
