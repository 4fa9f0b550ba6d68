"""What a visitor typed: shape only. Whether an e-mail is free is the database's business."""
