"""How a person proves who they are. One provider today: built-in accounts."""
