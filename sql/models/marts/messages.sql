{{ messages_of(source('lake', 'messages')) }}
