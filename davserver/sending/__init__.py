"""How a file is handed to whoever asks for it by HTTP; used by both doors. Pure."""
