from skiplab.training.text_metrics import defer_text_metrics

defer_text_metrics()  # first, since nearly all modules here import Lightning
