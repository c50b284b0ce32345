package httpapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

// Invalid input gets a 400 that names the field, and does not reach the core.
func TestOpenSession_BadInput(t *testing.T) {
	t.Parallel()
	nested := func(open, shut string, levels int) string {
		return `{"metadata":{"a":` + strings.Repeat(open, levels) + "1" + strings.Repeat(shut, levels) + "}}"
	}
	long := strings.Repeat("x", session.MaxMetadataBytes)
	cases := map[string]struct{ body, field string }{
		"NotJSON":              {"hello", "body"},
		"Truncated":            {`{"deviceId":"pho`, "body"},
		"TwoValues":            {`{}{}`, "body"},
		"TrailingComma":        {`{"deviceId":"phone",}`, "body"},
		"Comment":              {`{/* */}`, "body"},
		"DuplicateName":        {`{"deviceId":"a","deviceId":"b"}`, "body"},
		"BOMOfUTF16":           {"\xff\xfe{\x00}\x00", "body"},
		"TwoBOMs":              {"\ufeff\ufeff{}", "body"},
		"BOMWithin":            {"{\ufeff}", "body"},
		"BadUTF8":              {"{\"deviceId\":\"\xff\"}", "body"},
		"Gzip":                 {"\x1f\x8b\x08\x00", "body"},
		"Array":                {`[]`, "body"},
		"String":               {`"phone"`, "body"},
		"Number":               {`1`, "body"},
		"DeviceNumber":         {`{"deviceId":1}`, "deviceId"},
		"DeviceObject":         {`{"deviceId":{}}`, "deviceId"},
		"DeviceEmpty":          {`{"deviceId":""}`, "deviceId"},
		"DeviceLong":           {`{"deviceId":"` + strings.Repeat("x", 129) + `"}`, "deviceId"},
		"DeviceSpace":          {`{"deviceId":"my phone"}`, "deviceId"},
		"DeviceControl":        {`{"deviceId":"phone\u0007"}`, "deviceId"},
		"DeviceNUL":            {`{"deviceId":"phone\u0000"}`, "deviceId"},
		"DeviceNewline":        {`{"deviceId":"phone\n"}`, "deviceId"},
		"DeviceNotASCII":       {`{"deviceId":"téléphone"}`, "deviceId"},
		"RememberText":         {`{"rememberMe":"true"}`, "rememberMe"},
		"RememberNumber":       {`{"rememberMe":1}`, "rememberMe"},
		"RememberList":         {`{"rememberMe":[true]}`, "rememberMe"},
		"MetadataArray":        {`{"metadata":[]}`, "metadata"},
		"MetadataString":       {`{"metadata":"x"}`, "metadata"},
		"MetadataFalse":        {`{"metadata":false}`, "metadata"},
		"MetadataZero":         {`{"metadata":0}`, "metadata"},
		"MetadataTooLarge":     {`{"metadata":{"a":"` + long + `"}}`, "metadata"},
		"MetadataEscaped":      {`{"metadata":{"a":"` + strings.Repeat(`\u0041`, session.MaxMetadataBytes/6) + `"}}`, "metadata"},
		"NumbersInFull":        {`{"metadata":{"a":[` + strings.Repeat("1e308,", 13) + `1e308]}}`, "metadata"},
		"MetadataTooDeep":      {nested("[", "]", session.MaxMetadataLevels), "metadata"},
		"MetadataThousandDeep": {nested(`{"a":`, "}", 1000), "metadata"},
		"ListsThousandDeep":    {nested("[", "]", 1000), "metadata"},
		"MetadataNUL":          {`{"metadata":{"a":"\u0000"}}`, "metadata.a"},
		"MetadataNULInName":    {`{"metadata":{"\u0000":1}}`, "metadata"},
		"LoneSurrogate":        {`{"metadata":{"a":"\ud800"}}`, "body"},
		"LoneLowSurrogate":     {`{"metadata":{"a":"\udc00"}}`, "body"},
		"NumberTooLarge":       {`{"metadata":{"a":1e400}}`, "metadata"},
		"NumberTooSmall":       {`{"metadata":{"a":1e-400}}`, "metadata"},
		"NumberNotHeld":        {`{"metadata":{"a":9007199254740993}}`, "metadata"},
		"FractionNotHeld":      {`{"metadata":{"a":0.1234567890123456789}}`, "metadata"},
		"ExponentBomb":         {`{"metadata":{"a":1e999999999999}}`, "metadata"},
		"ExponentBombDown":     {`{"metadata":{"a":1e-999999999999}}`, "metadata"},
		"InfinityIsNoJSON":     {`{"metadata":{"a":Infinity}}`, "body"},
		"NaNIsNoJSON":          {`{"metadata":{"a":NaN}}`, "body"},
		"DuplicateInMetadata":  {`{"metadata":{"a":1,"a":2}}`, "body"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{}).admits() // Open is not expected
			got := s.post(t, test.body)
			if got.status != http.StatusBadRequest || got.Code != "invalid_request" || got.Field != test.field || !strings.HasPrefix(got.Message, test.field+": ") {
				t.Errorf("%.80s got %d %s, want field %s", test.body, got.status, got.body, test.field)
			}
		})
	}
}

func TestOpenSession_GoodInput(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		body     string
		device   string
		metadata any
	}{
		"Device":         {`{"deviceId":"A-z_0.9:x"}`, "A-z_0.9:x", nil},
		"LongestDevice":  {`{"deviceId":"` + strings.Repeat("x", 128) + `"}`, strings.Repeat("x", 128), nil},
		"EscapedDevice":  {`{"deviceId":"\u0070hone"}`, "phone", nil},
		"EmptyMetadata":  {`{"metadata":{}}`, "", map[string]any{}},
		"Unicode":        {`{"metadata":{"ключ":"\ud83d\ude00 é"}}`, "", map[string]any{"ключ": "😀 é"}},
		"Types":          {`{"metadata":{"a":[1,-0.5,true,null,"",{}]}}`, "", map[string]any{"a": []any{1.0, -0.5, true, nil, "", map[string]any{}}}},
		"EqualLiterals":  {`{"metadata":{"a":1.50,"b":15e-1,"c":0.0000,"d":1e3}}`, "", map[string]any{"a": 1.5, "b": 1.5, "c": 0.0, "d": 1000.0}},
		"LargestNumber":  {`{"metadata":{"a":1.7976931348623157e308}}`, "", map[string]any{"a": 1.7976931348623157e308}},
		"BOM":            {"\ufeff{\"deviceId\":\"phone\"}", "phone", nil},
		"OnlyABOM":       {"\ufeff", "", nil},
		"UnknownFields":  {`{"user":"user_evil","workflow":{"id":"x"},"userId":"user_evil"}`, "", nil},
		"WhiteSpace":     {" \r\n\t{ \"deviceId\" : \"phone\" } \n", "phone", nil},
		"SpaceCountsNot": {`{"metadata":{"a":` + strings.Repeat(" ", 8000) + `1}}`, "", map[string]any{"a": 1.0}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			last := s.asked()
			got := s.post(t, test.body)
			if got.status != http.StatusOK {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			if last.Device.String() != test.device {
				t.Errorf("the core was asked for device %q", last.Device)
			}
			if (last.Metadata == nil) != (test.metadata == nil) || (last.Metadata != nil && !reflect.DeepEqual(last.Metadata.Tree(), test.metadata)) {
				t.Errorf("the core was given %v", last.Metadata)
			}
			var answered struct {
				Session struct{ Metadata map[string]any }
			}
			if err := json.Unmarshal([]byte(got.body), &answered); err != nil || (test.metadata != nil && !reflect.DeepEqual(answered.Session.Metadata, test.metadata)) {
				t.Errorf("the client was told %s", got.body)
			}
		})
	}
}

// The bounds themselves are good.
func TestOpenSession_AtTheBounds(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.asked()
	text := func(n int) string { return strings.Repeat("x", n) }
	for name, body := range map[string]string{
		"Metadata of 4 KiB": `{"metadata":{"a":"` + text(session.MaxMetadataBytes-len(`{"a": ""}`)) + `"}}`,
		"32 levels":         `{"metadata":{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}}`,
		"A body of 16 KiB":  `{"x":"` + text(16<<10-len(`{"x":""}`)) + `"}`,
	} {
		if got := s.post(t, body); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := s.post(t, `{"x":"`+text(16<<10-len(`{"x":""}`)+1)+`"}`); got.status != http.StatusRequestEntityTooLarge || got.Code != "body_too_large" {
		t.Errorf("a byte more than 16 KiB: %d %s", got.status, got.body)
	}
}

// A compressed body is no malformed one: its client is told to send it as it is.
func TestContentEncoding(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"gzip", "GZIP", "br", "gzip, identity", "x"} {
		s := newSubject(t, httpapi.Config{IntrospectionKeys: []string{backendKey}}).admits().permits(access.ManageOwn) // the core is not asked
		for _, got := range []answer{
			s.post(t, "{}", "Content-Encoding", encoding),
			s.post(t, "{}", "Content-Encoding", "identity", "Content-Encoding", encoding),
			s.send(t, http.MethodPost, claimPath, "{}", "Content-Encoding", encoding),
			introspect(t, s, "token=x", "Authorization", "Bearer "+backendKey, "Content-Type", formType, "Content-Encoding", encoding),
		} {
			if got.status != http.StatusUnsupportedMediaType || got.Code != "unsupported_encoding" || got.Field != "Content-Encoding" || got.header.Get("Accept-Encoding") != "identity" {
				t.Errorf("%s got %d %s", encoding, got.status, got.body)
			}
		}
	}
	s := newSubject(t, httpapi.Config{})
	s.asked()
	for body, encoding := range map[string]string{"{}": "identity", " {}": "Identity", "  {}": "", "": "gzip"} {
		if got := s.post(t, body, "Content-Encoding", encoding); got.status != http.StatusOK {
			t.Errorf("%q as %q got %d %s", body, encoding, got.status, got.body)
		}
	}
}

// A body that never ends is given up at the bound, whatever its header says.
func TestOpenSession_EndlessBody(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}).admits()
	for _, length := range []int64{-1, 1 << 40} {
		r := request(t, http.MethodPost, openPath, "", "Authorization", "Bearer jwt")
		r.Body, r.ContentLength = io.NopCloser(endless{}), length
		if got := s.do(t, r); got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// A body that breaks off is the client's fault, and nothing is opened.
func TestOpenSession_BodyBreaksOff(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}).admits()
	r := request(t, http.MethodPost, openPath, "", "Authorization", "Bearer jwt")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"deviceId":`), broken{}))
	if got := s.do(t, r); got.status != http.StatusBadRequest || got.Field != "body" || strings.Contains(got.body, secret) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New(secret) }

// What is refused is refused alike, whatever content type it claims.
func TestOpenSession_IgnoresContentType(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	last := s.asked()
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded", ""} {
		if got := s.post(t, fmt.Sprintf(`{"deviceId":"d%d"}`, len(contentType)), "Content-Type", contentType); got.status != http.StatusOK || last.Device.String() != fmt.Sprintf("d%d", len(contentType)) {
			t.Errorf("%q got %d %s", contentType, got.status, got.body)
		}
	}
}

// Whatever the body, the answer is a session or says what is wrong with it.
func FuzzOpenSession(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"deviceId":"phone"}`, `{"metadata":{"a":[1,{"b":null}]}}`, `{"metadata":{"a":1e400}}`, "\xff", `{"metadata":{"\ud800":1}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s := newSubject(t, httpapi.Config{})
		s.admits().opener.EXPECT().Open(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(openerOf{}.Open).AnyTimes()
		if got := s.post(t, body); got.status != http.StatusOK && got.status != http.StatusBadRequest && got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%q got %d %s", body, got.status, got.body)
		}
	})
}
