package session

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// MaxMetadataBytes bounds metadata's Size. Whoever decodes metadata holds
	// the text that it came in to the same bound.
	MaxMetadataBytes = 4096
	// MaxMetadataLevels bounds how deep metadata nests; {} has one level.
	MaxMetadataLevels = 32
)

// Metadata is what a client attached to its session: a tree of objects and
// lists whose leaves are strings, numbers, booleans and nulls. The zero value
// is the empty object. Metadata cannot be changed; do not change what Tree
// returns.
type Metadata struct{ tree map[string]any }

// NewMetadata copies tree, which may hold nil, bool, float64, string, []any
// and map[string]any. It returns a KindInvalid error that names the member
// when the tree nests deeper than MaxMetadataLevels, holds a NUL character,
// text that is not UTF-8, a number that is not finite, or another type; and
// one for the whole when its Size exceeds MaxMetadataBytes.
func NewMetadata(tree map[string]any) (Metadata, error) {
	if len(tree) == 0 {
		return Metadata{}, nil
	}
	copied, err := copyObject("metadata", tree, 1)
	if err != nil {
		return Metadata{}, err
	}
	m := Metadata{copied}
	if m.Size() > MaxMetadataBytes {
		return Metadata{}, Invalid("metadata", "must have at most "+strconv.Itoa(MaxMetadataBytes)+" bytes, each number written out in full")
	}
	return m, nil
}

// RestoreMetadata rebuilds metadata from storage without checking any rule, so
// that what an older version or another hand stored can be read. It keeps tree.
func RestoreMetadata(tree map[string]any) Metadata { return Metadata{tree} }

// Tree returns the object, never nil. Callers must not change it.
func (m Metadata) Tree() map[string]any {
	if m.tree == nil {
		return map[string]any{}
	}
	return m.tree
}

// Equal reports whether both hold the same members and values.
func (m Metadata) Equal(other Metadata) bool {
	return reflect.DeepEqual(m.Tree(), other.Tree())
}

// Size is how many bytes metadata has as JSON in its canonical form. That is
// PostgreSQL's own for jsonb: a space after each colon and comma, no character
// escaped that need not be, and numbers without an exponent, so that 1e308 has
// 309 digits.
func (m Metadata) Size() int { return sizeOf(m.Tree()) }

// spaced is the size of a colon, or of a comma, and the space after it.
const spaced = 2

func sizeOf(value any) int {
	switch v := value.(type) {
	case bool:
		if v {
			return len("true")
		}
		return len("false")
	case float64:
		var digits [32]byte
		return len(strconv.AppendFloat(digits[:0], v, 'f', -1, 64))
	case string:
		return sizeOfText(v)
	case []any:
		size := len("[]") + spaced*max(len(v)-1, 0)
		for _, element := range v {
			size += sizeOf(element)
		}
		return size
	case map[string]any:
		size := len("{}") + spaced*max(len(v)-1, 0)
		for key, member := range v {
			size += sizeOfText(key) + spaced + sizeOf(member)
		}
		return size
	}
	return len("null")
}

// sizeOfText is the size of a string with its quotes and escapes.
func sizeOfText(text string) int {
	// Go's JSON escapes these two, so they take more in an answer than in storage.
	size := len(`""`) + len(text) + 3*(strings.Count(text, "\u2028")+strings.Count(text, "\u2029"))
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"', c == '\\', c == '\b', c == '\f', c == '\n', c == '\r', c == '\t':
			size++
		case c < ' ':
			size += len(`\u0001`) - 1
		}
	}
	return size
}

func copyValue(path string, value any, level int) (any, error) {
	switch v := value.(type) {
	case nil, bool:
		return v, nil
	case float64:
		return copyNumber(path, v)
	case string:
		return v, checkText(path, v)
	case []any:
		return copyList(path, v, level)
	case map[string]any:
		return copyObject(path, v, level)
	}
	return nil, Invalid(path, "must be JSON")
}

func copyNumber(path string, v float64) (any, error) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, Invalid(path, "must be a finite number")
	}
	return v + 0, nil // -0 becomes 0, as stores would make it
}

func copyObject(path string, object map[string]any, level int) (map[string]any, error) {
	if err := checkLevel(level); err != nil {
		return nil, err
	}
	copied := make(map[string]any, len(object))
	for key, value := range object {
		member := memberPath(path, key)
		if err := checkText(member, key); err != nil {
			return nil, err
		}
		v, err := copyValue(member, value, level+1)
		if err != nil {
			return nil, err
		}
		copied[key] = v
	}
	return copied, nil
}

func copyList(path string, list []any, level int) ([]any, error) {
	if err := checkLevel(level); err != nil {
		return nil, err
	}
	copied := make([]any, len(list))
	for i, value := range list {
		v, err := copyValue(path+"["+strconv.Itoa(i)+"]", value, level+1)
		if err != nil {
			return nil, err
		}
		copied[i] = v
	}
	return copied, nil
}

func checkLevel(level int) error {
	if level > MaxMetadataLevels {
		return Invalid("metadata", "must nest at most "+strconv.Itoa(MaxMetadataLevels)+" levels deep")
	}
	return nil
}

func checkText(path, text string) error {
	if !utf8.ValidString(text) {
		return Invalid(path, "must be valid Unicode")
	}
	if strings.ContainsRune(text, 0) {
		return Invalid(path, "must not contain the NUL character")
	}
	return nil
}

// memberPath names a member in an error. Names that are long or would not
// print well stay out of it.
func memberPath(path, key string) string {
	if _, err := parseName("", key, 40); err != nil || len(path) > 200 {
		return path
	}
	return path + "." + key
}
