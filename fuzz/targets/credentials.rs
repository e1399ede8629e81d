//! The credentials in `Authorization`, as an authenticator gets them from the SDK.
#![cfg_attr(feature = "libfuzzer", no_main)]

use portcullis_sdk::testing::RequestBuilder;

portcullis_fuzz::target!(|values: &[u8]| {
    let mut request = RequestBuilder::get("/");
    let mut count = 0;
    for value in values.split(|byte| *byte == b'\n').take(3) {
        request = request.header("authorization", value);
        count += 1;
    }
    let request = request.build();
    if let Ok(basic) = request.basic() {
        assert_eq!(count, 1);
        assert!(!basic.user.contains(':'));
        assert!(
            !format!("{}{}", basic.user, basic.password)
                .chars()
                .any(char::is_control)
        );
    }
    if let Ok(token) = request.token(&["bearer", "token"]) {
        assert_eq!(count, 1);
        assert!(token.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
        assert!((1..=8192).contains(&token.as_str().len()));
    }
});
