package session

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// MaxMetadataBytes is the maximum Size of metadata. The API applies the same
	// limit to the text of metadata in a request.
	MaxMetadataBytes = 4096
	// MaxMetadataLevels is the maximum nesting depth of metadata; {} has one level.
	MaxMetadataLevels = 32
)

// Metadata is a JSON object that a client attached to its session. The zero value is
// the empty object. Metadata is immutable: do not modify the result of Tree.
type Metadata struct{ tree map[string]any }

// NewMetadata copies tree, whose values may be nil, bool, float64, string, []any and
// map[string]any. It returns a KindInvalid error when the tree nests deeper than
// MaxMetadataLevels, contains a NUL character, invalid UTF-8, a number that is not
// finite or a value of another type, or when its Size exceeds MaxMetadataBytes.
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

// RestoreMetadata rebuilds metadata from storage WITHOUT validating it, so that data
// of older versions or other programs can be read. It does not copy tree. ONLY
// STORES CALL IT.
func RestoreMetadata(tree map[string]any) Metadata { return Metadata{tree} }

// Tree returns the object, never nil. Callers must not modify it.
func (m Metadata) Tree() map[string]any {
	if m.tree == nil {
		return map[string]any{}
	}
	return m.tree
}

// Equal reports whether both have the same members and values.
func (m Metadata) Equal(other Metadata) bool {
	return reflect.DeepEqual(m.Tree(), other.Tree())
}

// Size returns the length of the metadata in bytes, in the canonical JSON form that
// PostgreSQL uses for jsonb: a space after each colon and comma, only necessary
// escapes, and numbers without an exponent, so that 1e308 has 309 digits.
func (m Metadata) Size() int { return sizeOf(m.Tree()) }

// spaced is the length of a colon or comma and the space after it.
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

// sizeOfText returns the length of a string with its quotes and escapes.
func sizeOfText(text string) int {
	size := len(`""`) + len(text)
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
	return v + 0, nil // turns -0 into 0, as stores do
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

// memberPath returns the path of a member for errors. It leaves out names that are
// long or contain unusual characters.
func memberPath(path, key string) string {
	if _, err := parseName("", key, 40); err != nil || len(path) > 200 {
		return path
	}
	return path + "." + key
}
