package cli

import "strings"

// CometD spells its options maxInterval or ws.idleTimeout. The file takes them so,
// too: a name with a dot or a capital letter is that of the setting max-interval or
// ws-idle-timeout. (A bare number of milliseconds is a time here as well.)

// spelled is the name of the setting that a key of the file means.
func spelled(key string) string {
	var name strings.Builder
	for i, r := range key {
		switch {
		case r == '.':
			name.WriteByte('-')
		case 'A' <= r && r <= 'Z':
			if i > 0 && key[i-1] != '.' && key[i-1] != '-' {
				name.WriteByte('-')
			}
			name.WriteRune(r - 'A' + 'a')
		default:
			name.WriteRune(r)
		}
	}
	return name.String()
}
