package balancer

import (
	"reflect"
	"strings"
	"unicode"
)

// setting is one field of [Config] with the name that flags, variables and the file
// have for it. The name follows from that of the field (MaxConnsPerIP is
// max-conns-per-ip). Tags say what else there is to know:
//
//	setting:"keys"             another name; of a struct, that it is one setting
//	prefix:"browser-cookie-"   of a struct: what the names of its fields begin with
//	reload:"restart"           read at the start only
type setting struct {
	name    string
	restart bool
	index   []int
}

var allSettings, handedOver = settingsOf(reflect.TypeFor[Config](), "", nil)

// SettingNames lists the settings that a [Config] consists of, and which of them are
// read at the start only.
func SettingNames() (all, restart []string) {
	for _, s := range allSettings {
		all = append(all, s.name)
		if s.restart {
			restart = append(restart, s.name)
		}
	}
	return all, restart
}

// settingsOf lists the settings of a struct, and where it has what is none: what a
// program hands over.
func settingsOf(t reflect.Type, prefix string, index []int) (all []setting, handed [][]int) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(index[:len(index):len(index)], i)
		name := f.Tag.Get("setting")
		switch f.Type.Kind() {
		case reflect.Pointer, reflect.Func, reflect.Interface, reflect.Chan:
			handed = append(handed, at)
			continue
		case reflect.Struct:
			if name == "" {
				inner, more := settingsOf(f.Type, prefix+f.Tag.Get("prefix"), at)
				all, handed = append(all, inner...), append(handed, more...)
				continue
			}
		}
		if name == "" {
			name = prefix + kebab(f.Name)
		}
		all = append(all, setting{name: name, restart: f.Tag.Get("reload") == "restart", index: at})
	}
	return all, handed
}

// keepHanded gives to what from was handed beside its settings.
func keepHanded(to, from *Config) {
	t, f := reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem()
	for _, index := range handedOver {
		t.FieldByIndex(index).Set(f.FieldByIndex(index))
	}
}

// kebab is the name of a setting for that of a field: HTTPOnly is http-only.
func kebab(field string) string {
	var b strings.Builder
	letters := []rune(field)
	for i, r := range letters {
		if i > 0 && unicode.IsUpper(r) &&
			(!unicode.IsUpper(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1])) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// changes lists the settings in which two configurations differ.
func changes(was, is *Config) (all []setting) {
	for _, s := range allSettings {
		a, b := s.of(was), s.of(is)
		empty := a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0
		if !empty && !reflect.DeepEqual(a.Interface(), b.Interface()) {
			all = append(all, s)
		}
	}
	return all
}

func (s setting) of(c *Config) reflect.Value { return reflect.ValueOf(c).Elem().FieldByIndex(s.index) }

func (s setting) copy(to, from *Config) { s.of(to).Set(s.of(from)) }
