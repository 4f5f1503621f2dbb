"""One account's decrypted tree. Knows nothing of HTTP; the only way in is `Vaults.open(principal)`."""
