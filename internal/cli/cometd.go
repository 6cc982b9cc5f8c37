package cli

import "strings"

// CometD spells its options maxInterval or ws.idleTimeout. The file takes them so,
// too: a name with a dot or a capital letter is that of the setting max-interval or
// ws-idle-timeout. (A bare number of milliseconds is a time here as well.)

// renamed are those of CometD's options, by their names as spelled, that are settings with another name.
var renamed = map[string]string{"oort-url": "url", "oort-cloud": "oort"}

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
	if other, ok := renamed[name.String()]; ok && strings.Contains(key, ".") {
		return other
	}
	return name.String()
}

// foreign is what to say of a key in CometD's spelling that is no setting, or "".
func (s *Settings) foreign(key string) string {
	if spelled(key) == key {
		return ""
	}
	// CometD has options for one transport alone: long-polling.json.interval.
	if dot := strings.LastIndexByte(key, '.'); dot >= 0 {
		if general := spelled(key[dot+1:]); s.find(general) != nil {
			return ": is " + general + " meant, which is for all transports?"
		}
	}
	return ": docs/options.md says what is there of CometD's options"
}
